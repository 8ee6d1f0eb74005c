"""The ASGI application of `gm web`: pages, socket and REST on one port.

Start it with any ASGI server: `granian --interface asgi gmtool.asgi:application`. The bundle must have been built
(gmtool.build); no Node is needed at run time.
"""

from __future__ import annotations

import os
from pathlib import Path

from gmtool.build import ROOT, bundle_dir

bundle = bundle_dir()
os.environ["REFLEX_ENV_MODE"] = "prod"
os.environ["REFLEX_WEB_WORKDIR"] = str(bundle)
os.environ["REFLEX_TELEMETRY_ENABLED"] = "false"
os.environ["REFLEX_CHECK_LATEST_VERSION"] = "false"
os.environ["__REFLEX_SKIP_COMPILE"] = "true"
os.environ["__REFLEX_MOUNT_FRONTEND_COMPILED_APP"] = "true"
if Path.cwd() != ROOT:
    os.chdir(ROOT)  # Reflex looks for rxconfig.py and assets in the working folder

from gmtool.gmtool import app  # noqa: E402

application = app()
