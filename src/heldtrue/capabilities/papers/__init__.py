"""Papers: one pure model of a document, written as PDF, DOCX, XLSX, HTML and JSON."""
