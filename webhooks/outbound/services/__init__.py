"""What outbound webhooks do: fan out the feed, send, write results, keep endpoints' health."""
