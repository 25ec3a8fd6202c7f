"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const count = (n) => n.toLocaleString("en-US");
  const percent = (x) => (x * 100).toFixed(x >= 0.01 ? 2 : 4) + " %";

  const place = (x, y) => {
    tip.hidden = false;
    const wide = document.documentElement.clientWidth;
    const left = Math.min(x + 16, scrollX + wide - tip.offsetWidth - 12);
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = y + 16 + "px";
  };
  const hide = () => { tip.hidden = true; };

  // Words that belong to a bar or a band.
  document.addEventListener("pointermove", (event) => {
    const of = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (of) {
      tip.textContent = of.dataset.tip;
      place(event.pageX, event.pageY);
    } else if (!event.target.closest || !event.target.closest(".plot")) {
      hide();
    }
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // The mix at one place: what is planned there, or what the run of windows there holds.
  let first = 0;
  const bins = data.bins.map(([phase, window, windows, sources]) => {
    const from = first;
    first += windows * data.phases[phase].s;
    return { phase, window, windows, sources, from, to: first };
  });
  const at = (planned, tokens) => {
    if (planned) {
      const phase = data.phases.find((of) => tokens < of.t) || data.phases[data.phases.length - 1];
      const along = phase.t > phase.f ? (tokens - phase.f) / (phase.t - phase.f) : 0;
      const shares = phase.a.map((share, i) => share + (phase.z[i] - share) * along);
      return { head: phase.n + ", after " + count(Math.round(tokens)) + " tokens", shares };
    }
    const bin = bins.find((of) => tokens < of.to) || bins[bins.length - 1];
    const last = bin.window + bin.windows - 1;
    return {
      head: data.phases[bin.phase].n + ", windows " + count(bin.window) + " to " + count(last),
      shares: bin.sources.map((n) => n / bin.windows),
      windows: bin.sources,
    };
  };
  const row = (cells, key) => {
    const tr = document.createElement("tr");
    cells.forEach((text, i) => {
      const td = document.createElement("td");
      if (i === 0) {
        const mark = document.createElement("i");
        mark.className = "key " + key;
        td.append(mark);
      } else {
        td.className = "n";
      }
      td.append(text);
      tr.append(td);
    });
    return tr;
  };
  document.querySelectorAll(".plot").forEach((plot) => {
    const svg = plot.querySelector("svg");
    const cursor = svg.querySelector(".cursor");
    const planned = svg.classList.contains("planned");
    const layers = data[plot.closest(".stack").dataset.stack];
    const left = 46, right = svg.viewBox.baseVal.width - 132;
    let here = 0;
    const show = (tokens, x, y) => {
      here = Math.max(0, Math.min(data.total - 1, tokens));
      const found = at(planned, here);
      const place_x = left + (here / data.total) * (right - left);
      cursor.setAttribute("x1", place_x);
      cursor.setAttribute("x2", place_x);
      plot.classList.add("on");
      tip.textContent = "";
      const head = document.createElement("b");
      head.textContent = found.head;
      const table = document.createElement("table");
      const sum = (list, layer) => layer.s.reduce((total, i) => total + list[i], 0);
      let rows = layers.map((layer) => ({ layer, share: sum(found.shares, layer) })).filter((of) => of.share > 0).reverse();
      const hidden = rows.length - 24;
      if (hidden > 0) rows = rows.sort((a, b) => b.share - a.share).slice(0, 24);
      for (const { layer, share } of rows) {
        const cells = [layer.n, percent(share)];
        if (found.windows) cells.push(count(sum(found.windows, layer)) + " windows");
        table.append(row(cells, layer.c));
      }
      tip.append(head, table);
      if (hidden > 0) tip.append("and " + hidden + " smaller ones");
      const box = svg.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      place(x === undefined ? box.left + scrollX + place_x * scale : x, y === undefined ? box.top + scrollY + 40 : y);
    };
    const off = () => { plot.classList.remove("on"); hide(); };
    plot.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      if (x < left || x > right) return off();
      show(((x - left) / (right - left)) * data.total, event.pageX, event.pageY);
    });
    plot.addEventListener("pointerleave", off);
    plot.addEventListener("blur", off);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step && event.key !== "Home" && event.key !== "End") return;
      event.preventDefault();
      if (event.key === "Home") return show(0);
      if (event.key === "End") return show(data.total - 1);
      show(here + (step * data.total) / 100);
    });
  });

  // Tables sort by the column that is asked for; a third time brings the first order back.
  document.querySelectorAll("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const numeric = head.classList.contains("n");
        const order = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
        const next = order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        const value = (tr) => {
          const cell = tr.cells[column];
          const text = cell.dataset.v === undefined ? cell.textContent : cell.dataset.v;
          return numeric ? Number(text.replace(/,/g, "")) || 0 : text;
        };
        // Sums of groups and totals have no place in another order.
        const rows = next ? original.filter((tr) => !["group", "total"].includes(tr.className)) : original;
        const sums = next ? original.filter((tr) => tr.className === "total") : [];
        if (next) {
          rows.sort((a, b) => {
            const [x, y] = [value(a), value(b)];
            const sign = numeric ? x - y : x.localeCompare(y);
            return next === "ascending" ? sign : -sign;
          });
        }
        body.replaceChildren(...rows, ...sums);
      });
    });
  });
})();
