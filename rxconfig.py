"""Reflex's settings: only how the portal is built and served. What a user may change is a GM_* setting."""

import os

import reflex as rx

from gmtool.build_plugin import BundlePlugin

redis_url = os.environ.get("GM_REDIS_URL") or None

config = rx.Config(
    app_name="gmtool",
    telemetry_enabled=False,
    show_built_with_reflex=False,
    # UI state lives in the one web process; several replicas share it through Redis or Valkey.
    state_manager_mode="redis" if redis_url else "memory",
    redis_url=redis_url,
    # Same origin only: gmtool.asgi refuses foreign origins before Reflex sees them.
    cors_allowed_origins=[],
    frontend_compression_formats=["gzip", "brotli"],
    default_color_mode="dark",
    plugins=[
        rx.plugins.RadixThemesPlugin(
            theme=rx.theme(
                accent_color="blue",
                gray_color="slate",
                radius="medium",
                scaling="95%",
                panel_background="solid",
                has_background=True,
            )
        ),
        BundlePlugin(),
    ],
    # Icons are imported one by one by our own scripts; fonts are served by us, cut into slices by unicode range.
    frontend_packages=[
        "lucide-react@1.26.0",
        "@fontsource-variable/noto-sans-kr@5.3.1",
        "@fontsource-variable/noto-sans-mono@5.3.0",
    ],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
