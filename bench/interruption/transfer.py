"""One transfer over TCP or Multipath TCP, as fast as it goes, or over UDP at 50 packets a second.

transfer.py receive {tcp|mptcp|udp} ADDRESS PORT
    Takes one connection, or what datagrams come. At its end, or when standard input ends, prints as JSON how many octets
    came in each millisecond of Unix time, as [[millisecond, octets], ...], without empty ones.
transfer.py send {tcp|mptcp|udp} SOURCE ADDRESS PORT
    Sends until standard input ends.
Both print "ready" first: listening, connected.
"""
import json
import os
import select
import socket
import sys
import time

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "mptcp": getattr(socket, "IPPROTO_MPTCP", 262)}
CHUNK = 1 << 16
DATAGRAM = 160
INTERVAL = 0.02


def open_socket(protocol):
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM, PROTOCOLS[protocol])


def accept(protocol, address, port):
    if protocol == "udp":
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.bind((address, int(port)))
        print("ready", flush=True)
        return datagrams
    listener = open_socket(protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(1)
    print("ready", flush=True)
    return listener.accept()[0]


def send_datagrams(source, address, port):
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.bind((source, 0))
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], INTERVAL)[0]:
        datagrams.sendto(bytes(DATAGRAM), (address, int(port)))


def receive(protocol, address, port):
    connection = accept(protocol, address, port)
    arrivals = {}
    while True:
        readable, _, _ = select.select([connection, sys.stdin], [], [])
        if sys.stdin in readable:
            break
        octets = len(connection.recv(CHUNK))
        if octets == 0:
            break
        millisecond = time.time_ns() // 1_000_000
        arrivals[millisecond] = arrivals.get(millisecond, 0) + octets
    print(json.dumps(sorted(arrivals.items())), flush=True)
    os._exit(0)


def send(protocol, source, address, port):
    if protocol == "udp":
        return send_datagrams(source, address, port)
    connection = open_socket(protocol)
    connection.bind((source, 0))
    connection.connect((address, int(port)))
    connection.setblocking(False)
    print("ready", flush=True)
    data = bytes(CHUNK)
    while True:
        readable, writable, _ = select.select([sys.stdin], [connection], [])
        if sys.stdin in readable:
            os._exit(0)
        if writable:
            connection.send(data)


if __name__ == "__main__":
    {"receive": receive, "send": send}[sys.argv[1]](*sys.argv[2:])
