"""Who a message comes from: SPF, DKIM, DMARC and ARC, found out before anything parses it."""
