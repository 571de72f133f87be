#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How soon a killed daemon is known, beside Debian's serf, in the same run.

  tests/bench/detection.py [KILLS]

Eight kithd and eight serf agents (LAN profile) on loopback. Of each a random one is killed with SIGKILL at a random
moment; measured is the time until all seven others route around it: until kith holds it suspect or dead, and serf
`failed`. It is started again and must be known as alive to all before the next. To reach: a third of serf's time.
"""

import contextlib
import random
import socket
import subprocess
import sys
import pathlib
import time

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mesh"))
from _mesh import Failed, Skipped, folder, mesh, run_tests, wait_for  # noqa: E402

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
SEED = 20261121
NODES = 8
TIMES_FASTER = 3
PHASE_SECONDS = 2.0
POLL_SECONDS = 0.01


class SerfClient:
    """As much of serf's RPC as tells what an agent believes of whom."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.unpacker = msgpack.Unpacker(raw=False, unicode_errors="replace")
        self.number = 0
        self.request("handshake", {"Version": 1})
        self.receive()

    def request(self, command, body=None):
        self.number += 1
        self.socket.sendall(msgpack.packb({"Command": command, "Seq": self.number}))
        if body is not None:
            self.socket.sendall(msgpack.packb(body))

    def receive(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the agent hung up")
            self.unpacker.feed(data)

    def states(self):
        """State by name."""
        self.request("members")
        self.receive()  # the answer's head
        return {member["Name"]: member["Status"] for member in self.receive()["Members"]}

    def close(self):
        self.socket.close()


class SerfAgent:
    def __init__(self, path, number, ports):
        self.name, self.ports, self.number = f"serf{number + 1}", ports, number
        self.log = path / f"{self.name}.log"
        self.process = None

    @property
    def rpc_port(self):
        return self.ports[NODES + self.number]

    def start(self):
        join = [f"-retry-join=127.0.0.1:{port}" for port in self.ports[:NODES] if port != self.ports[self.number]]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["serf", "agent", f"-node={self.name}", f"-bind=127.0.0.1:{self.ports[self.number]}",
                 f"-rpc-addr=127.0.0.1:{self.rpc_port}", "-profile=lan", "-retry-interval=1s", *join],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def client(self):
        return SerfClient(self.rpc_port)

    def kill(self):
        self.process.kill()
        self.process.wait()


class KithStates:
    """The same question, put to a kithd."""

    def __init__(self, daemon):
        self.client = daemon.client()

    def states(self):
        return {member["name"]: member["state"] for member in self.client.ok("members")["members"]}

    def close(self):
        self.client.close()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


@contextlib.contextmanager
def serf_agents():
    with folder() as path:
        ports = free_ports(2 * NODES)
        agents = [SerfAgent(path, number, ports) for number in range(NODES)]
        try:
            for agent in agents:
                agent.start()
            yield agents
        finally:
            for agent in agents:
                agent.kill()


def ask(connect):
    """What one node believes; nothing while it cannot be asked."""
    try:
        with contextlib.closing(connect()) as client:
            return client.states()
    except OSError:
        return {}


def wait_until_whole(nodes, connect):
    """Every node knows every node as alive."""
    for node in nodes:
        wait_for(lambda: list(ask(lambda: connect(node)).values()).count("alive") == NODES,
                 f"{node.name} to know all {NODES}", 90)


def seconds_until_all_know(victim, others, connect):
    """Kills it, and polls the others until none holds it alive."""
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(contextlib.closing(connect(other))) for other in others]
        victim.kill()
        killed = time.monotonic()
        while waiting:
            waiting = [client for client in waiting if client.states().get(victim.name) == "alive"]
            passed = time.monotonic() - killed
            if passed > 60:
                raise Failed(f"{victim.name} is alive to {len(waiting)} others after a minute")
            time.sleep(POLL_SECONDS)
        return passed


def one_kill(nodes, connect, dice):
    wait_until_whole(nodes, connect)
    time.sleep(dice.random() * PHASE_SECONDS)  # the phase of the kill, not a wait for a state
    victim = dice.choice(nodes)
    took = seconds_until_all_know(victim, [node for node in nodes if node is not victim], connect)
    victim.start()
    return took


def describe(name, took):
    took = sorted(took)
    p50, most = took[len(took) // 2], took[-1]
    print(f"   {name:<5} {len(took)} kills   p50 {p50:5.2f} s   max {most:5.2f} s", flush=True)
    return p50


def a_killed_daemon_is_routed_around_three_times_sooner_than_serf_sees_it():
    dice = random.Random(SEED)
    try:
        subprocess.run(["serf", "version"], capture_output=True, check=True)
    except FileNotFoundError:
        raise Skipped("serf is not installed (make bench-detection installs it)") from None
    kith, serf = [], []
    with mesh(NODES) as daemons, serf_agents() as agents:
        for _ in range(KILLS):
            kith.append(one_kill(daemons, KithStates, dice))
            serf.append(one_kill(agents, SerfAgent.client, dice))
    ratio = describe("serf", serf) / describe("kith", kith)
    print(f"   {ratio:.1f} times sooner; to reach: {TIMES_FASTER}", flush=True)
    if ratio < TIMES_FASTER:
        raise Failed(f"only {ratio:.1f} times sooner")


run_tests(a_killed_daemon_is_routed_around_three_times_sooner_than_serf_sees_it)
