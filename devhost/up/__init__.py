"""Everything on one machine: the storage emulator, the host, the local agent, started and watched together."""
