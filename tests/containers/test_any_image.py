"""Any image as the gateway under test: with a command and a configuration file, and ours with the kit's profile."""

from __future__ import annotations

import os
import re
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from memmie_harness.client import heartbeat
from memmie_harness.conformance.launch import Surroundings, make_gateway
from memmie_harness.conformance.profile import Start
from memmie_harness.stack import stack_for_tests
from memmie_harness.targets import TargetError
from memmie_harness.targets.image import ImageTarget
from memmie_harness.targets.ready_when import ReadyWhen

BASE = os.environ.get("PYTHON_IMAGE", "python:3.13-slim")

SERVER = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path("{FOLDER}/written").touch()
print("backends {STUDIO_WS_URLS}", os.environ["MY_AUTH"], "port", server.server_port, flush=True)
server.serve_forever()
"""


async def test_any_image_gets_addresses_and_a_configuration(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    try:
        engine.images.get(BASE)
    except ImageNotFound:
        engine.images.pull(BASE)
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "server.py").write_text(SERVER)
    start = Start(
        image=BASE,
        image_command=["python", "{CONFIG}"],
        config=tmp_path / "server.py",
        env={"MY_AUTH": "{AUTH_ADDRESS}"},
        ready=ReadyWhen(re.compile("port (?P<port>[0-9]+)"), port=True, path="/"),
        stop_seconds=1,
    )
    target = make_gateway(start, Surroundings("http://127.0.0.1:1", ["ws://127.0.0.1:2/ws"], folder))
    assert isinstance(target, ImageTarget)
    await target.start()

    assert (
        f"backends ws://127.0.0.1:2/ws 127.0.0.1:1 port {target.url.rpartition(':')[2]}" in target.log_tail()
    )
    assert (folder / "written").exists()
    await target.stop()  # the program ignores SIGTERM, as the first process of a container does
    assert target.exit_code not in {None, 0}


async def test_ours_runs_with_the_profile_of_the_kit_and_the_fakes_of_the_test(
    engine: docker.DockerClient,  # noqa: ARG001 - answers, or the test is skipped
) -> None:
    async with stack_for_tests(
        profile="memmie", target="container", image="memmie-gateway:latest", studios=1
    ) as stack:
        assert isinstance(stack.gateway, ImageTarget)
        await heartbeat(await stack.connect("u1"))
        [studio] = stack.studios
        assert len(studio.connections) == 1
        assert len(stack.auth.log.entries("request", path="/api/v1/auth/validate")) == 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            "memmie-no-such-image:1",
            "there is no image memmie-no-such-image:1. Get it with `docker pull memmie-no",
        ),
        (BASE, "it ended with exit code 3 before it was ready"),
    ],
)
async def test_an_image_that_does_not_start_says_why(
    engine: docker.DockerClient,  # noqa: ARG001 - answers, or the test is skipped
    image: str,
    message: str,
) -> None:
    target = ImageTarget(image, ["python", "-c", "raise SystemExit(3)"])
    with pytest.raises(TargetError, match=re.escape(message)):
        await target.start()
