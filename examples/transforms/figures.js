// Pick the figures that a customer asked for out of a filing as JSON, in whole currency units.
// Configuration: {"concepts": {"revenue": "ifrs-full:Revenue"}, "context": "2025"}

function transform(payload, context) {
  const filing = payload.json;
  if (filing === null || !Array.isArray(filing.facts)) {
    log("no filing:", payload.content_type);
    return null;
  }
  const figures = {};
  for (const [name, concept] of Object.entries(context.concepts)) {
    const fact = filing.facts.find((one) => one.concept === concept && one.context === context.context);
    if (fact === undefined) {
      log("the filing has no", concept);
      continue;
    }
    figures[name] = { value: fact.value, unit: fact.unit.replace("iso4217:", ""), page: fact.page };
  }
  return { company: filing.entity.name, period: filing.document.period, figures, payload: payload.id };
}
