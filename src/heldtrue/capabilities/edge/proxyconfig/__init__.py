"""Hardened configurations of nginx, Caddy, Traefik and Envoy, with the door in front of every location."""

from heldtrue.capabilities.edge.proxyconfig.parameters import Kind, Parameters
from heldtrue.capabilities.edge.proxyconfig.render import render

__all__ = ["Kind", "Parameters", "render"]
