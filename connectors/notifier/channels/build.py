"""From a subscription to the channel that serves it."""

from connectors.kit.settings import MqttSettings
from connectors.notifier.channels import Channel
from connectors.notifier.subscriptions import AppriseChannel, MqttChannel, Subscription, WebhookChannel


def build_channel(subscription: Subscription, broker: MqttSettings) -> Channel:
    """Return the channel of a subscription."""
    spec = subscription.channel
    if isinstance(spec, WebhookChannel):
        from connectors.notifier.channels.webhook import WebhookSender

        return WebhookSender(spec)
    if isinstance(spec, AppriseChannel):
        from connectors.notifier.channels.apprise_url import AppriseSender

        return AppriseSender(spec)
    if isinstance(spec, MqttChannel):
        from connectors.notifier.channels.mqtt import MqttSender

        return MqttSender(spec, broker, f"tidemark-notifier-{subscription.name}")
    from connectors.notifier.channels.log import LogSender

    return LogSender(spec)
