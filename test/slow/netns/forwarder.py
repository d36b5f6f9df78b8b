"""Delays Ethernet frames between two TAP devices, each by a time of its own, so that they also overtake each other.

Usage: forwarder.py INNER OUTER LEAST_MS MOST_MS; says "ready" when both devices are there, and ends with its standard input.
"""
import fcntl, heapq, os, random, select, struct, sys, time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


inner, outer = tap(sys.argv[1]), tap(sys.argv[2])
least, most = float(sys.argv[3]) / 1000, float(sys.argv[4]) / 1000
print("ready", flush=True)
other = {inner: outer, outer: inner}
waiting = []
order = 0
while True:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, _, to, frame = heapq.heappop(waiting)
        try:
            os.write(to, frame)
        except OSError:
            pass  # the device is down, or full: a lost frame
    wait = max(0.0, waiting[0][0] - now) if waiting else None
    readable, _, _ = select.select([inner, outer, sys.stdin], [], [], wait)
    for source in readable:
        if source is sys.stdin:
            if not os.read(0, 1):
                sys.exit(0)
            continue
        try:
            frame = os.read(source, 65536)
        except OSError:
            continue
        order += 1
        heapq.heappush(waiting, (time.monotonic() + random.uniform(least, most), order, other[source], frame))
