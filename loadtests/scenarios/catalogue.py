"""The scenarios, in the order in which one would look at them."""

from __future__ import annotations

from loadtests.scenarios.drain import Drain
from loadtests.scenarios.failover import Failover
from loadtests.scenarios.fanout import Fanout
from loadtests.scenarios.limits import Limits
from loadtests.scenarios.scenario import Scenario
from loadtests.scenarios.slow import Slow
from loadtests.scenarios.soak import Soak
from loadtests.scenarios.steady import Steady
from loadtests.scenarios.storm import Storm

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Steady(),
        Soak(),
        Storm(),
        Fanout(),
        Slow(),
        Failover(),
        Drain(),
        Limits(),
    )
}
