"""Devices that are not there: the device client, fleets with faults, replays, and the truth to judge alerts by."""
