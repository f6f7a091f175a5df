"""Simulators of STP (incoming SPEI) and Conekta (OXXO cash orders), a process of their own.

They speak the providers' wire protocols over HTTP and share no code with the apps: a mistake made on one side of the
wire must not cancel out on the other. Play money only; nothing here ever reaches a provider.

Start with ``python -m sandbox --port 9100 --data DIR`` and open ``http://127.0.0.1:9100/``.

The control plane under ``/_sim`` stands in for the world around the providers: bank customers, a till, the clock
(``PUT /_sim/clock``), and a bad day of network and provider (``POST /_sim/faults``, see ``sandbox.faults``). ``--seed``
makes chance repeat itself.

Where the simulators knowingly differ from the providers:

- A webhook URL may be ``http`` and may be on localhost; the real Conekta refuses both.
- Conekta takes cash orders only, keeps no customers and no refunds, and emits ``charge.paid``, ``order.paid``,
  ``order.expired`` and ``order.canceled`` only.
- STP's operating day skips weekends but knows no bank holidays; ``operating_date`` overrides it.
"""
