"""`tidemark-pi`: a Raspberry Pi as a gateway. Reads its sensors and sends what they say through the device client.

It must stay under 40 MiB resident, so nothing here, nor what it imports, loads numpy, pandas, Flink or pydantic.
"""
