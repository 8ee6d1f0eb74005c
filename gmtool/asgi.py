"""The ASGI application of `gm web`: pages, socket and REST on one port.

Start it with any ASGI server: `granian --interface asgi gmtool.asgi:application`. The bundle must have been built
(gmtool.build); no Node is needed at run time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gmtool.build import ROOT, BuildError, bundle_dir, is_built

bundle = bundle_dir()
if not is_built(bundle):
    raise BuildError("The front end is not built; run `python -m gmtool.build` or `./gm up`.")
os.environ["REFLEX_ENV_MODE"] = "prod"
os.environ["REFLEX_WEB_WORKDIR"] = str(bundle)
os.environ["REFLEX_TELEMETRY_ENABLED"] = "false"
os.environ["REFLEX_CHECK_LATEST_VERSION"] = "false"
os.environ["__REFLEX_SKIP_COMPILE"] = "true"
os.environ["__REFLEX_MOUNT_FRONTEND_COMPILED_APP"] = "true"
if Path.cwd() != ROOT:
    os.chdir(ROOT)  # Reflex looks for rxconfig.py and assets in the working folder

from gmcenter.api.app import create_api  # noqa: E402
from gmcenter.core.settings import settings  # noqa: E402
from gmtool.gmtool import app  # noqa: E402
from gmtool.shell.headers import Gate  # noqa: E402

API_PATHS = ("/gmcapi/", "/livez", "/readyz", "/metrics")

api = create_api()


@asynccontextmanager
async def run_api() -> AsyncIterator[None]:
    """The API's own start and stop, inside the portal's: one server, one life."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(api.router.lifespan_context(api))
        yield


app.register_lifespan_task(run_api)
application = Gate(app(), api, bundle, settings().origins, API_PATHS)
