"""One transfer over TCP or Multipath TCP, as fast as it goes, or over UDP at 50 packets a second.

transfer.py {receive|send} {tcp|mptcp|udp} listen ADDRESS PORT
transfer.py {receive|send} {tcp|mptcp|udp} connect SOURCE ADDRESS PORT
    Both print "ready" first: listening, connected. It is one connection; over UDP the receiver
    listens. At its end, or when standard input ends, the receiver prints as JSON how many octets
    came in each millisecond of Unix time, as [[millisecond, octets], ...], without empty ones.
    The sender sends until standard input ends.
"""
import json
import os
import select
import socket
import sys
import time

PROTOCOLS = {
    "tcp": socket.IPPROTO_TCP,
    "mptcp": getattr(socket, "IPPROTO_MPTCP", 262),
    "udp": socket.IPPROTO_UDP,
}
# What Linux takes where nobody has chosen another one: figures of two machines are of one TCP.
CONGESTION_CONTROL = b"cubic"
# They stay open: further subflows come in by them.
LISTENERS = []
CHUNK = 1 << 16
DATAGRAM = 160
INTERVAL = 0.02


def connection(protocol, how, *ends):
    return {"listen": accept, "connect": connect}[how](protocol, *ends)


def accept(protocol, address, port):
    listener = open_socket(protocol, address, port)
    if protocol == "udp":
        print("ready", flush=True)
        return listener
    listener.listen(8)
    LISTENERS.append(listener)
    print("ready", flush=True)
    return listener.accept()[0]


def connect(protocol, source, address, port):
    peer = open_socket(protocol, source)
    peer.connect((address, int(port)))
    print("ready", flush=True)
    return peer


def open_socket(protocol, address, port=0):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    opened = socket.socket(socket.AF_INET6, kind, PROTOCOLS[protocol])
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if protocol != "udp":
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL)
    opened.bind((address, int(port)))
    return opened


def receive(protocol, how, *ends):
    peer = connection(protocol, how, *ends)
    if how == "connect":
        # As the request of a download.
        peer.send(b"\n")
    arrivals = {}
    while True:
        readable, _, _ = select.select([peer, sys.stdin], [], [])
        if sys.stdin in readable:
            break
        octets = len(peer.recv(CHUNK))
        if octets == 0:
            break
        millisecond = time.time_ns() // 1_000_000
        arrivals[millisecond] = arrivals.get(millisecond, 0) + octets
    print(json.dumps(sorted(arrivals.items())), flush=True)
    os._exit(0)


def send(protocol, *ends):
    peer = connection(protocol, *ends)
    if protocol == "udp":
        return send_datagrams(peer)
    peer.setblocking(False)
    data = bytes(CHUNK)
    while True:
        readable, writable, _ = select.select([sys.stdin], [peer], [])
        if sys.stdin in readable:
            os._exit(0)
        if writable:
            peer.send(data)


def send_datagrams(peer):
    while not select.select([sys.stdin], [], [], INTERVAL)[0]:
        peer.send(bytes(DATAGRAM))


if __name__ == "__main__":
    {"receive": receive, "send": send}[sys.argv[1]](*sys.argv[2:])
