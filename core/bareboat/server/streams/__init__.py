"""Connections that carry more than one request and one answer: exec, attach, port-forward and logs over WebSocket and SPDY/3.1.

`pipes` are byte streams, `spdy` the frames of SPDY and `session` its streams over a pipe, `channels` the WebSocket protocols;
`commands` and `forwarding` carry them to an agent and back.
"""
