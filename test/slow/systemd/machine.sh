# A machine whose first process is systemd, with nothing of the real one to write on: run by unshare in namespaces of its own, it puts an
# overlay over the root file system, whose changes are in memory, and gives up the way back before systemd starts.
# Usage: machine.sh FOLDER NODE REPOSITORY
set -e
# The first process of namespaces of its own, or none: by hand it would put its mounts over the real machine's.
[ $$ = 1 ] || exit 1
folder=$1 node=$2 repository=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"
for each in dev proc sys run tmp var/tmp opt mnt; do mkdir -p "$each"; done
mount -t tmpfs tmpfs dev
for each in null zero full random urandom tty; do touch "dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts && ln -s pts/ptmx dev/ptmx
for each in run tmp var/tmp opt; do mount -t tmpfs -o mode=755 tmpfs "$each"; done
chmod 1777 tmp var/tmp dev/shm
mkdir opt/mixmint && mount --bind "$repository" opt/mixmint && mount -o remount,bind,ro opt/mixmint
touch opt/node && mount --bind "$node" opt/node
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup && mount -t cgroup2 cgroup2 sys/fs/cgroup
# Of the units that come with a system none is wanted.
rm -rf etc/systemd/system lib/systemd/system/*.wants lib/systemd/system/*.requires
mkdir -p etc/systemd/system usr/local/bin
for each in sysinit basic; do printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$each" > "etc/systemd/system/$each.target"; done
printf '[Unit]\nDescription=nothing\nDefaultDependencies=no\nAllowIsolate=yes\n' > etc/systemd/system/nothing.target
printf '#!/bin/sh\nexec /opt/node /opt/mixmint/nodes/bin/mixmint.js "$@"\n' > usr/local/bin/mixmint
printf '#!/bin/sh\nexec "$@"\n' > usr/local/bin/sudo
chmod 755 usr/local/bin/mixmint usr/local/bin/sudo
ip link set lo up
pivot_root . mnt
cd /
umount -l /mnt
[ "$(findmnt -no FSTYPE /)" = overlay ]
echo machine ready
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=mixmint /lib/systemd/systemd --system --unit=nothing.target --log-target=null --show-status=no
