"""Heartbeat: one record a minute that says this machine and its agent are alive."""

from collections.abc import Mapping
from typing import Any

from oms_agent.identity import Machine


def heartbeat(machine: Machine, *, version: str, at: str) -> Mapping[str, Any]:
    """A record of the table Heartbeat, as the Direct Agent writes it."""
    return {
        "TimeGenerated": at,
        "Computer": machine.name,
        "Category": "Direct Agent",
        "OSType": machine.os_type,
        "OSName": machine.os_name,
        "OSMajorVersion": machine.os_major,
        "OSMinorVersion": machine.os_minor,
        "Version": version,
        "SCAgentChannel": "Direct",
        "IsGatewayInstalled": False,
        "ComputerEnvironment": "Non-Azure",
        "ComputerIP": machine.address,
        "ComputerPrivateIPs": list(machine.addresses),
        "VMUUID": machine.id,
    }
