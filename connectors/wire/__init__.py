"""Every byte that crosses a process: packs, records, events, their versions, and the topics they travel on.

Nothing here imports numpy or anything of ours, because a Raspberry Pi and a Flink worker load it too.
"""
