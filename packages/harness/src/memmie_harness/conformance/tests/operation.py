"""Operation: metrics and the log."""

from __future__ import annotations

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.transcript import escape

GROUP = Group("operation", "Drain, metrics and log")


@GROUP.test(
    "metric-connections",
    "The gauge counts live connections, and goes back when they end",
    level=FEATURE,
    rule="spec §6",
    needs=["metrics_path", "metric_connections"],
    own_gateway=True,
)
async def metric_connections(lab: Lab) -> None:
    name = lab.setup.text("metric_connections")
    pairs = [await lab.join() for _ in range(3)]

    async def counts_three() -> bool:
        return await lab.metric(name) == 3

    async def counts_none() -> bool:
        return await lab.metric(name) == 0

    await lab.until(f"{name} is 3", counts_three)
    for pair in pairs:
        pair.client.leave()
        await pair.studio.closing_frame()
        pair.studio.send_close(1000)
        pair.studio.leave()
    await lab.until(f"{name} is 0", counts_none)


@GROUP.test(
    "metric-messages",
    "The counter counts the messages of both directions",
    level=FEATURE,
    rule="spec §6",
    needs=["metrics_path", "metric_messages"],
    own_gateway=True,
)
async def metric_messages(lab: Lab) -> None:
    name = lab.setup.text("metric_messages")
    pair = await lab.join()
    before = await lab.metric(name)
    for _ in range(5):
        await pair.exchange()

    async def counted() -> bool:
        return await lab.metric(name) == before + 10

    await lab.until(f"{name} has grown by 10", counted)


@GROUP.test(
    "metrics-format",
    "Every line of the metrics is a comment or a sample",
    level=FEATURE,
    rule="spec §6",
    needs=["metrics_path"],
)
async def metrics_format(lab: Lab) -> None:
    answer = await lab.get(lab.setup.text("metrics_path"))
    equal("the status", answer.status, 200)
    lines = answer.body.decode().splitlines()
    wrong = [line for line in lines if line and not line.startswith("#") and not _is_sample(line)]
    equal("the lines that are neither", wrong, [])


def _is_sample(line: str) -> bool:
    head, _, value = line.rpartition(" ")
    try:
        float(value)
    except ValueError:
        return False
    return bool(head)


@GROUP.test(
    "log-injection",
    "Control characters of a client do not reach the log as they are",
    level=FEATURE,
    rule="RFC 9110 §17.1, spec §7",
    needs=["log"],
)
async def log_injection(lab: Lab) -> None:
    mark = f"evil-{lab.marker}"
    for request in (
        lab.request(f"User-Agent: \x1b[31m{mark}", query=f"a=%0a{mark}%1b"),
        lab.request(f"X-Request-ID: \x1b[31m{mark}", without=["sec-websocket-key"]),
    ):
        client = await lab.dial()
        client.write(request)
        await lab.answer_or_arrival(client)
        client.reset()
    pair = await lab.join()  # by now, the lines of those before are written
    await pair.exchange()
    lines = [line for line in lab.stack.gateway.log_tail(10_000).splitlines() if mark in line]
    true(
        "no control character in the log",
        not any("\x1b" in line for line in lines),
        escape("\n".join(lines).encode()),
    )
