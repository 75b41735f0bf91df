"""The books: what became of every reading, by set difference on (gateway, boot, sequence number, index).

`close_books` is pure and works on plain records; `read` fetches them from Kafka, `devices` from the gateways' files.
"""
