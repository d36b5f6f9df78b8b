"""Delays Ethernet frames between two TAP devices, each by a time of its own, so that they also overtake each other.

Usage: forwarder.py INNER OUTER LEAST_MS MOST_MS [INNER OUTER LEAST_MS MOST_MS ...], for as many pairs as there are; says "ready"
when all devices are there, and ends with its standard input.
"""
import fcntl, heapq, os, random, select, struct, sys, time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


words = sys.argv[1:]
ways = {}
readers = select.poll()
readers.register(0, select.POLLIN)
for inner, outer, least, most in zip(*[iter(words)] * 4):
    pair = tap(inner), tap(outer)
    for source, to in (pair, pair[::-1]):
        ways[source] = to, float(least) / 1000, float(most) / 1000
        readers.register(source, select.POLLIN)
print("ready", flush=True)
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
    wait = max(0.0, waiting[0][0] - now) * 1000 if waiting else None
    for source, _ in readers.poll(wait):
        if source == 0:
            if not os.read(0, 1):
                sys.exit(0)
            continue
        try:
            frame = os.read(source, 65536)
        except OSError:
            continue
        to, least, most = ways[source]
        order += 1
        heapq.heappush(waiting, (time.monotonic() + random.uniform(least, most), order, to, frame))
