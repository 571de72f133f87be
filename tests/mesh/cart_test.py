#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The shopping cart (Dynamo, §4.4) on real daemons: many clients add to one key of a namespace that keeps siblings,
each reading what is there and writing it back with one item more. No item is lost, and there are never more values than
clients.

  tests/mesh/cart_test.py [ITEMS_A_CLIENT]
"""

import sys
import threading

from _mesh import check, mesh, run_tests, wait_for

CLIENTS = 10
DAEMONS = 5
ITEMS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
KEY = "carts/shared"
ITEM_BYTES = (ITEMS + 7) // 8


# A cart is a bit for each item of each client.
def merged(values):
    cart = bytearray(CLIENTS * ITEM_BYTES)
    for value in values:
        for place, bits in enumerate(value["value"]):
            cart[place] |= bits
    return cart


def has(cart, client, item):
    return cart[client * ITEM_BYTES + item // 8] >> (item % 8) & 1


class Shopper(threading.Thread):
    def __init__(self, daemon, number):
        super().__init__()
        self.client, self.number = daemon.client(), number
        self.added, self.siblings_max, self.failures = [], 0, 0

    def run(self):
        for item in range(ITEMS):
            if self.add(item):
                self.added.append(item)
            else:
                self.failures += 1
        self.client.close()

    def add(self, item):
        error, answer = self.client.call("get", key=KEY)
        if error is not None:
            return False
        self.siblings_max = max(self.siblings_max, len(answer["values"]))
        cart = merged(answer["values"])
        cart[self.number * ITEM_BYTES + item // 8] |= 1 << (item % 8)
        error, _ = self.client.call("put", key=KEY, value=bytes(cart), version=answer["version"])
        return error is None


def no_item_is_lost_from_a_cart_that_ten_clients_fill_at_once():
    with mesh(DAEMONS) as daemons:
        daemons[0].ok("ns_set", namespace="carts", create=True, conflict="siblings")
        for daemon in daemons:
            wait_for(lambda: daemon.ok("ns_list")["namespaces"], f"{daemon.name} to hear of the namespace")
        shoppers = [Shopper(daemons[number % DAEMONS], number) for number in range(CLIENTS)]
        for shopper in shoppers:
            shopper.start()
        for shopper in shoppers:
            shopper.join()
        siblings_max = max(s.siblings_max for s in shoppers)
        for daemon in daemons:
            answer = daemon.ok("get", key=KEY, r=3)
            siblings_max = max(siblings_max, len(answer["values"]))
            cart = merged(answer["values"])
            lost = [(s.number, item) for s in shoppers for item in s.added if not has(cart, s.number, item)]
            check(not lost, f"{daemon.name} has lost {len(lost)} items: {lost[:5]}")
        print(f"   {CLIENTS} clients, {sum(len(s.added) for s in shoppers)} items, "
              f"{sum(s.failures for s in shoppers)} not acknowledged, 0 lost, at most {siblings_max} siblings")
        check(all(len(s.added) == ITEMS for s in shoppers), "not every item was acknowledged, without any fault")
        check(1 < siblings_max <= CLIENTS, f"there were {siblings_max} siblings")
        sequential_writes_without_a_version_leave_one(daemons)


def sequential_writes_without_a_version_leave_one(daemons):
    for number in range(20):
        daemons[number % DAEMONS].ok("put", key="carts/blind", value=str(number).encode(), w=3)
    for daemon in daemons:
        values = [value["value"] for value in daemon.ok("get", key="carts/blind", r=3)["values"]]
        check(values == [b"19"], f"{daemon.name} shows {values}")


run_tests(no_item_is_lost_from_a_cart_that_ten_clients_fill_at_once)
