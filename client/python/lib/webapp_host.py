"""Hosting web applications, under the name that agents inside a sandbox import it by."""

from sandy import Sandbox, SandyClient, deploy_webapp

__all__ = ["Sandbox", "SandyClient", "deploy_webapp"]
