"""How the admin looks: names, colours, where menu and dashboard come from."""

#: Read by the theme; the menu itself is in gemproxy.admin_site.
UNFOLD = {
    "SITE_TITLE": "gemproxy",
    "SITE_HEADER": "gemproxy",
    "SITE_SUBHEADER": "Gateway",
    "SITE_SYMBOL": "hub",
    "SITE_URL": "/tokens/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "gemproxy.admin_site.mark"}
    ],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "proxy.admin.dashboard.context",
    "STYLES": ["gemproxy.admin_site.style_sheet"],
    "SIDEBAR": {"navigation": "gemproxy.admin_site.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38.6% .063 188.416)",
            "900": "oklch(27.7% .046 192.524)",
            "950": "oklch(20% .035 193)",
        }
    },
}
