"""The bridge: what gateways publish over MQTT becomes records in Kafka, acknowledged once it is there."""
