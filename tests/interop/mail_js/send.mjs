// Send one message with an attachment as a program of today does; told everything on standard input.
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const told = JSON.parse(readFileSync(0, "utf8"));
const transport = nodemailer.createTransport({
  host: "localhost",
  port: told.port,
  secure: told.secure,
  requireTLS: true,
  tls: { ca: readFileSync(told.ca_file), minVersion: "TLSv1.2" },
});
const sent = await transport.sendMail({
  from: "Ann <ann@sender.test>",
  to: told.to,
  subject: "Rechnung für März – 412,50 €",
  text: "See the attachment.\n.\nIt has a dot.",
  attachments: [{ filename: "invoice.pdf", content: Buffer.from(told.attachment, "base64") }],
});
console.log(JSON.stringify({ response: sent.response, accepted: sent.accepted }));
transport.close();
