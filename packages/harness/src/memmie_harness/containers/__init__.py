"""The gateway and the fakes as containers, in the style of testcontainers' own modules.

They need the extra ``memmie-harness[containers]`` and a Docker engine. testcontainers reads its settings from the
environment when it is imported, so set those first.

```python
with Network() as network, FakeAuthContainer().with_network(network).with_network_aliases("auth") as auth:
    with GatewayContainer().with_network(network).with_auth("http://auth:8001") as gateway:
        print(gateway.get_url(), auth.mint("u1"))
```
"""

from memmie_harness.containers.fakes import ControlError, FakeAuthContainer, FakeStudioContainer
from memmie_harness.containers.gateway import GatewayContainer
from memmie_harness.containers.readiness import AnswerWaitStrategy
from memmie_harness.containers.service import ContainerError, ServiceContainer

__all__ = [
    "AnswerWaitStrategy",
    "ContainerError",
    "ControlError",
    "FakeAuthContainer",
    "FakeStudioContainer",
    "GatewayContainer",
    "ServiceContainer",
]
