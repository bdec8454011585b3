"""Read the orders in the CSV files of a mail: one output an order, with the customer's names for the columns.

Configuration: {"columns": {"order": "Order no", "sku": "Item", "quantity": "Qty"}, "delimiter": ";"}
"""

import csv
import io

from heldtrue_guest import attachment, log, many


def transform(payload, context):
    columns = context["columns"]
    orders = []
    for file in payload["attachments"]:
        if file["type"] != "text/csv":
            log("left out", file["name"], "which is", file["type"])
            continue
        text = attachment(file["ref"]).decode("utf-8-sig")
        for number, row in enumerate(csv.DictReader(io.StringIO(text), delimiter=context.get("delimiter", ",")), 1):
            order = {name: (row.get(title) or "").strip() for name, title in columns.items()}
            if not order["order"]:
                log("row", number, "of", file["name"], "names no order")
                continue
            orders.append({**order, "quantity": int(order["quantity"]), "from": file["name"], "mail": payload["id"]})
    return many(orders)
