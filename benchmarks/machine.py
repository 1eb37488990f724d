"""What stands beside every figure: date, machine, versions."""

import os
from datetime import date
from importlib.metadata import version
from platform import machine, processor, python_version, system

import torch


def description() -> str:
    """One line, for the head of a result."""
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    versions = ", ".join(f"{name} {version(name)}" for name in ("unetsearch", "torch", "optuna"))
    cores = f"{os.cpu_count()} cores {processor() or machine()}"
    return f"{date.today()}, {system()}, {', '.join([*devices, cores])}, python {python_version()}, {versions}"
