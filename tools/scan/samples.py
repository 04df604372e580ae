"""What the rules of the scan find, and what they leave alone. Read by semgrep, never imported."""

import datetime
import os
import pickle
import ssl
import subprocess
import typing
from decimal import Decimal

import httpx
import yaml

from ordergate.core.ids import Env, Live


# ruleid: no-float-money
limit_price: float = 1.5
# ok: no-float-money
limit_price_text: str = "1.5"
# ok: no-float-money
wait_s: float = 1.5


# ruleid: no-float-money
def bought(quantity: float) -> None: ...


def sold(quantity: Decimal, text: str) -> None:
    # ruleid: no-float-money
    price = float(text)
    # ok: no-float-money
    seconds = float(text)
    print(price, seconds)
    # ruleid: no-naive-time
    datetime.datetime.now()
    # ok: no-naive-time
    datetime.datetime.now(datetime.UTC)
    # ruleid: no-naive-time
    datetime.datetime.fromtimestamp(seconds)
    # ok: no-naive-time
    datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def known(given: str, client_secret: str, self: object) -> bool:
    # ruleid: no-equality-on-secrets
    if given == client_secret:
        return True
    # ruleid: no-equality-on-secrets
    if self.signature != given:
        return False
    # ok: no-equality-on-secrets
    return self.token_type == given


async def sent(seat: object, order: object, broker: object) -> None:
    # ruleid: no-broker-call-outside-the-dispatcher
    await seat.broker.place(order.cl_ord_id, order.terms)
    # ruleid: no-broker-call-outside-the-dispatcher
    await broker.replace(order)
    # ok: no-broker-call-outside-the-dispatcher
    await seat.broker.find(order.cl_ord_id)


# ruleid: no-default-environment
def opened(name: str, env: Env = Env.PAPER) -> None: ...


# ok: no-default-environment
def closed(name: str, env: Env) -> None: ...


def chosen(settings: dict) -> None:
    # ruleid: no-default-environment
    print(os.environ.get("ORDERGATE_ENV", "live"))
    # ruleid: no-default-environment
    print(settings.get("environment", "paper"))
    # ok: no-default-environment
    print(settings["environment"])


def told_apart(env: Env) -> None:
    # ruleid: no-environment-as-text
    print(env == "live")
    # ruleid: no-environment-as-text
    print(typing.cast(Live, env))
    # ok: no-environment-as-text
    print(env is Env.LIVE)


def read(text: bytes) -> None:
    # ruleid: no-code-from-data
    pickle.loads(text)
    # ruleid: no-code-from-data
    yaml.load(text)
    # ok: no-code-from-data
    yaml.safe_load(text)
    # ruleid: no-code-from-data
    subprocess.run("ls", shell=True)
    # ok: no-code-from-data
    subprocess.run(["ls"], check=True)


def asked(context: ssl.SSLContext) -> None:
    # ruleid: no-unverified-connection
    httpx.get("https://broker.example", verify=False)
    # ok: no-unverified-connection
    httpx.get("https://broker.example", verify=context)
    # ruleid: no-unverified-connection
    context.check_hostname = False
