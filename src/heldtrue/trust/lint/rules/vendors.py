"""Who else gets the data: names in the text against the list of sub-processors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule, Sentence

KNOWN = (
    "Amazon Web Services", "AWS", "Google Cloud", "GCP", "Microsoft Azure", "Azure", "Cloudflare", "Fastly",
    "Vercel", "Netlify", "Heroku", "Render", "Fly.io", "DigitalOcean", "Hetzner", "OVHcloud", "Scaleway", "Stripe",
    "Adyen", "Braintree", "Paddle", "SendGrid", "Twilio", "Mailgun", "Postmark", "Mailchimp", "Amazon SES",
    "Datadog", "New Relic", "Sentry", "Grafana Cloud", "Honeycomb", "Elastic Cloud", "Splunk", "PagerDuty",
    "Intercom", "Zendesk", "Freshdesk", "HubSpot", "Salesforce", "Segment", "Mixpanel", "Amplitude", "PostHog",
    "Snowflake", "Databricks", "MongoDB Atlas", "Supabase", "Neon", "PlanetScale", "Auth0", "Okta", "WorkOS",
    "Clerk", "OpenAI", "Anthropic", "Mistral AI", "Cohere", "Slack", "Linear", "Notion", "Google Workspace",
    "GitHub",
)  # fmt: skip
"""Vendors that such pages name most often; others are found by how they are spoken of."""
_NAMED = re.compile(
    r"(?<![\w/@.-])(" + "|".join(map(re.escape, sorted(KNOWN, key=len, reverse=True))) + r")(?![\w/@-]|\.\w)"
)
_SPOKEN = re.compile(
    r"\b(?:hosted (?:on|by|with|at)|stored (?:on|by|with|at|in)|sent (?:to|through|via|by)"
    r"|delivered (?:through|via|by)|processed by"
    r"|provided by|powered by|handled by|monitored (?:with|by|in)|run(?:s|ning)? on|rel(?:y"
    r"|ies) on|passed to|shared with|uses?|using)\s+"
    r"(?:the )?((?:[A-Z][\w.&-]*)(?: [A-Z][\w.&-]*){0,2})"
)
_NOT_DATA = re.compile(
    r"\b(?:never|no|none|nothing|nobody|not|without|neither|competitors?|unlike|integrat\w+ with|connect(?:s"
    r"|ors?)?|works? with|sign(?:ed)?.in|single sign|sso"
    r"|import|export|compatible|supports?|your own|you (?:may|can|choose)|customers? (?:may|can|bring))\b",
    re.IGNORECASE,
)
_DATA = re.compile(
    r"\b(?:data|hosted?|hosts|stored?|stores|sen[dt]s?|process\w*|deliver\w*|mails?|emails?"
    r"|errors?|logs?|payments?|backups?|support|tickets"
    r"|analytics|monitor\w*|model|inference|runs?|relies|uses?|using|through|via|by)\b",
    re.IGNORECASE,
)
_COMMON = {
    "TLS", "AES", "HTTPS", "HTTP", "SSO", "SAML", "OAuth", "API", "PostgreSQL", "Postgres", "Ed25519", "JSON",
    "PGP", "GPG", "GDPR", "ISO", "SOC", "UTC", "EU", "US", "UK", "Europe", "Ireland", "Frankfurt", "Germany",
    "Linux", "Kubernetes", "Docker", "Python", "HMAC", "SHA", "Argon2", "STARTTLS", "SMTP", "DNS", "MFA", "TOTP",
    "KMS", "HSM", "VPN", "Redis", "Kafka", "XLSX", "PDF", "CSV", "REST", "MCP", "JWT", "AES-256",
}  # fmt: skip
_HEADING = re.compile(r"sub-?processors?|third part(?:y|ies)|service providers?|vendors", re.IGNORECASE)


def unlisted(page: Page, context: Context) -> Iterator[Finding]:
    """Find a vendor that gets data and is missing from the list of sub-processors."""
    known = context.processors if context.processors is not None else listed(page)
    if not known:
        return
    seen: set[str] = set()
    for one in page.said():
        if _HEADING.search(one.section) or _NOT_DATA.search(one.text):
            continue
        for name in _names(one):
            if name.lower() not in seen and not _is_listed(name, known):
                seen.add(name.lower())
                yield UNLISTED.found(one, f"{name} is named here, and is not in the list of sub-processors.")


def listed(page: Page) -> frozenset[str]:
    """Return the names in the page's own lists of sub-processors, in lower case."""
    names = {
        item.lower()
        for listing in page.listings
        if _HEADING.search(listing.section) or _HEADING.search(listing.intro)
        for item in listing.items
    }
    names |= {
        found[0].lower()
        for one in page.said()
        if _HEADING.search(one.section) or re.search(r"sub-?processors? (?:are|is|include)", one.text, re.IGNORECASE)
        for found in _NAMED.finditer(one.text)
    }
    return frozenset(names)


def _names(one: Sentence) -> Iterator[str]:
    if _DATA.search(one.text):
        yield from (found[1] for found in _NAMED.finditer(one.text))
    for found in _SPOKEN.finditer(one.text):
        name = found[1].rstrip(".")
        if name.split()[0].rstrip("s") not in _COMMON and not name.isupper():
            yield name


def _is_listed(name: str, known: frozenset[str]) -> bool:
    wanted = _ALIASES.get(name.lower(), (name.lower(),))
    return any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", entry) for entry in known for one in wanted)


_AMAZON, _GOOGLE = ("aws", "amazon web services"), ("gcp", "google cloud")
_ALIASES = {
    "aws": _AMAZON, "amazon web services": _AMAZON, "amazon ses": ("amazon ses", *_AMAZON), "gcp": _GOOGLE,
    "google cloud": _GOOGLE, "microsoft azure": ("azure",),
}  # fmt: skip

UNLISTED = Rule(
    name="processor-not-listed",
    level=Level.ERROR,
    about="Whoever gets customers' data is in the list of sub-processors, or is not named as getting it.",
    check=unlisted,
)
RULES = (UNLISTED,)
