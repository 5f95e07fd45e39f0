// Where the owner lives and which carrier they use: two lists, nothing required.
import { ask } from "./ask.js";
import { h, put } from "./dom.js";
import { t } from "./words.js";

const lists = new Map(); // path → promise of its answer; they do not change

function list(path) {
  if (!lists.has(path))
    lists.set(
      path,
      ask(path).catch((fault) => (lists.delete(path), Promise.reject(fault))),
    );
  return lists.get(path);
}

/**
 * Draw the three choices into `place`; `values()` tells what is chosen. A province is only kept
 * with its commune, which is said beside it; `whole()` is false until then, and leads to it.
 */
export function placeForm(place, { province, commune, carrier, phone_carrier = true }) {
  const chosen = { province: province ?? "", commune: commune ?? "", carrier: carrier ?? "" };
  const half = h("p", { id: "commune-half", "aria-live": "polite" });
  const picks = {
    province: pick("province", t("Province or city"), (value) => {
      chosen.commune = "";
      fillCommunes(value);
      sayHalf();
    }),
    commune: pick("commune", t("Ward or commune"), sayHalf),
    carrier: pick("carrier", t("Carrier")),
  };
  function pick(name, label, then = () => {}) {
    const select = h("select", {
      id: name,
      name,
      onchange: () => ((chosen[name] = select.value), then(select.value)),
    });
    return {
      select,
      field: h("div", { class: "field" }, h("label", { for: name }, label), select),
    };
  }
  const isHalf = () => Boolean(chosen.province) && !chosen.commune;
  function sayHalf() {
    half.className = "quiet";
    half.textContent = isHalf()
      ? t("A province alone is not kept: choose the ward or commune as well.")
      : "";
    picks.commune.select.removeAttribute("aria-invalid");
  }
  function whole() {
    if (!isHalf()) return true;
    half.className = "wrong";
    picks.commune.select.setAttribute("aria-invalid", "true");
    picks.commune.select.focus();
    return false;
  }
  function fill(name, options) {
    const { select } = picks[name];
    put(
      select,
      h("option", { value: "" }, t("Not said")),
      options.map(([value, text]) =>
        h("option", { value, selected: value === chosen[name] }, text),
      ),
    );
    select.disabled = options.length === 0;
  }
  const places = (found) => found.places.map(({ code, name }) => [code, name]);
  const lost = () =>
    put(
      place,
      h(
        "p",
        { class: "wrong" },
        t("The list of places cannot be read now. You can say this later in the settings."),
      ),
    );
  async function fillCommunes(code) {
    fill("commune", code ? places(await list(`places/${code}`).catch(() => ({ places: [] }))) : []);
  }
  put(place, picks.province.field, picks.commune.field, phone_carrier ? picks.carrier.field : null);
  list("places").then((found) => fill("province", places(found)), lost);
  if (phone_carrier)
    list("carriers").then(
      ({ carriers }) =>
        fill(
          "carrier",
          carriers.map((name) => [name, name]),
        ),
      lost,
    );
  picks.commune.select.setAttribute("aria-describedby", half.id);
  picks.commune.field.append(half);
  fillCommunes(chosen.province);
  sayHalf();
  return {
    whole,
    values: () => ({
      province: chosen.province || null,
      commune: chosen.commune || null,
      carrier: chosen.carrier || null,
    }),
  };
}
