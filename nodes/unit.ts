/**
 * The systemd unit of a node, one template for every role. What it forbids is checked by `systemd-analyze` in
 * test/nodes/unit.test.ts; what a node needs of it is in docs/operating.md.
 */

export interface UnitOptions {
  /** The command that is the program, with absolute paths. */
  readonly program: string
  /** The folder above those of nodes. */
  readonly base: string
  /** Who it runs as. */
  readonly user: string
}

export function unitText ({ program, base, user }: UnitOptions): string {
  return `# One unit for every role: mixmint@mix.service runs the node whose folder is ${base}/mix.
[Unit]
Description=mixmint node %i
Wants=network-online.target
After=network-online.target time-sync.target
# Of a configuration that is wrong a restart makes no right one.
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
User=${user}
Group=${user}
ExecStart=${program} run --dir ${base}/%i
ExecReload=${program} config check ${base}/%i
ExecReload=/bin/kill -HUP \$MAINPID

# Readiness, signs of life, what it waits for. It is said by the program systemd-notify, a child: hence all.
Type=notify
NotifyAccess=all
# A node waits until the directory lists it, which may take two epochs.
TimeoutStartSec=infinity
WatchdogSec=120
# A mix lets the packets inside leave (drainLimit, 60 s); after that it is killed.
TimeoutStopSec=90
Restart=on-failure
RestartSec=5

LimitNOFILE=65536
UMask=0077
WorkingDirectory=${base}/%i
ReadWritePaths=${base}/%i

# Nothing but its own folder, TCP and its control socket; AF_NETLINK, by which it lists the machine's addresses.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateIPC=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute is not here: Node compiles to memory as it runs.

[Install]
WantedBy=multi-user.target
`
}
