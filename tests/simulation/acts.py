"""What a history's acts do to the machine and the world."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.history import Act
from tests.simulation.machine import Bridge, Machine
from tests.simulation.world import World


def happens(machine: Machine, act: Act) -> None:
    """Let one act happen; what it is meant for may not be there."""
    world, bridge = machine.world, machine.bridges.get(act.who)
    world.note(str(act).strip())
    match act.what:
        case "kill" | "start" | "broker cuts" | "freeze" | "freeze at a claim" if bridge:
            _to_a_process(machine, bridge, act)
        case "store down":
            _for_a_while(world, machine.database.down, act)
        case "lost commit":
            _for_a_while(world, machine.database.lost_commits, act)
        case "clock steps":
            for one in machine.bridges.values() if act.who == "all" else [bridge] if bridge else []:
                one.offset += act.number
        case "reboots dark" | "reboots lit":
            world.reboot(act.who, lit=act.what.endswith("lit"), older=act.number > 0)
        case "someone writes":
            world.overwrite(act.who, "WERK IN UITVOERING")
        case "lies":
            world.stuck[act.who] = world.reads(act.who) if act.number else ""
        case "photos":
            world.photos = act.who
        case _:
            _by_people(machine, act)
    world.happened[f"act: {act.what.partition(' zaak')[0]}"] += 1


def _by_people(machine: Machine, act: Act) -> None:
    match act.what:
        case "reload":
            machine.rewrite(int(act.number))
        case "withdraw":
            machine.operate(lambda intake: intake.withdraw(act.who))
        case what if what.startswith("hold "):
            machine.operate(lambda intake: intake.hold(what.removeprefix("hold "), act.who))


def _to_a_process(machine: Machine, bridge: Bridge, act: Act) -> None:
    process = bridge.process
    match act.what:
        case "kill" if not process.frozen:
            process.burn(int(act.number))
        case "start":
            process.kill()  # if its fuse never burned down
            machine.start(act.who)
        case "broker cuts":
            machine.broker.cut(process)
        case "freeze" if not process.dead:
            bridge.freeze(act.number)
        case "freeze at a claim":
            bridge.nap = act.number


def _for_a_while(world: World, names: set[str], act: Act) -> None:
    names.add(act.who)
    undo: Callable[[], None] = lambda: names.discard(act.who)  # noqa: E731
    world.later(act.number, undo)
