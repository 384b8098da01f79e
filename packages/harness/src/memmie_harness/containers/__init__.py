"""The gateway and the fakes as containers, in the style of testcontainers' own modules.

This package needs the extra `memmie-harness[containers]` and a Docker engine. testcontainers reads its settings from
the environment when it is imported, so set them before.

```python
with StackContainers(studios=2) as stack:
    print(stack.gateway.get_ws_url(), stack.auth.mint("u1"))
```
"""

try:
    import testcontainers.core.container  # noqa: F401 - which imports docker, too
except ImportError as error:
    raise ImportError(
        f"memmie_harness.containers needs an extra that is not installed ({error}). "
        "Install it with `pip install --find-links DIR 'memmie-harness[containers]'`; "
        "DIR is the folder that contains the wheels"
    ) from None

from memmie_harness.containers.engine import ContainerError, engine_time
from memmie_harness.containers.fakes import ControlError, FakeAuthContainer, FakeStudioContainer
from memmie_harness.containers.gateway import GatewayContainer
from memmie_harness.containers.readiness import AnswerWaitStrategy
from memmie_harness.containers.service import ServiceContainer
from memmie_harness.containers.stack import StackContainers

__all__ = [
    "AnswerWaitStrategy",
    "ContainerError",
    "ControlError",
    "FakeAuthContainer",
    "FakeStudioContainer",
    "GatewayContainer",
    "ServiceContainer",
    "StackContainers",
    "engine_time",
]
