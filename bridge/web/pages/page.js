// Shows what the bridge says, says what it has painted, and clears itself when the bridge falls silent.
"use strict";

const root = document.documentElement;
const at = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/+$/, "");
const DEAD = Number(root.dataset.dead) * 1000;
const BEAT = Number(root.dataset.beat) * 1000;
const SMALLEST = 0.055; // of the shorter side of the screen: what cannot be read from far is not shown smaller, but in pages
const LARGEST = 0.3;
const FINEST = 10; // pixels: on a wall of lamps, letters of fewer are blots
const READ = 12; // characters a second
const SHORTEST = 5000; // milliseconds that a page stays at least
const AGAIN = 5000; // milliseconds until a photo that did not come is fetched again
const graphemes = Intl.Segmenter && new Intl.Segmenter(undefined, { granularity: "grapheme" });
const DUTCH_TIME = { hour: "2-digit", minute: "2-digit", timeZone: "Europe/Amsterdam" }; // players often keep UTC
const noPhoto = document.getElementById("photo");
const photos = new Map(); // by their digests, each loaded once for as long as a message has it
const screenName = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2).padStart(16, "0");

let messages = []; // what is to be shown, each with the time (ours) when it must go
let pages = []; // all pages of all messages, in turn
let turn = -1; // which of them is on
let painted = new Set(); // keys of what has been painted
let said = ""; // what we told the bridge last
let heard = now(); // when it last spoke
let source = null;
let wait = 1000;
let tried = now(); // when we last gave up on a connection
let next = 0; // the timer of the next page

// The longer of two clocks: one stops while a machine sleeps, the other may be set back.
function now() {
  return { steady: performance.now(), wall: Date.now() };
}

function since(moment) {
  const here = now();
  return Math.max(here.steady - moment.steady, here.wall - moment.wall);
}

function connect() {
  if (source) source.close();
  source = new EventSource(base + "/events");
  source.addEventListener("state", (event) => {
    hear();
    take(JSON.parse(event.data));
  });
  source.addEventListener("beat", hear);
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
    source.close();
    wait = Math.min(wait * 2, 15000);
    setTimeout(connect, wait);
  };
}

function hear() {
  heard = now();
  wait = 1000;
}

function take(state) {
  const moment = now();
  messages = state.messages.map((one) => ({ ...one, moment, left: one.left * 1000 }));
  lay(true);
  renew(state.edition);
}

// The bridge has other settings by now, or another page: that is fetched, when it is certain to come, and once.
function renew(edition) {
  if (edition === root.dataset.edition || sessionStorage.getItem("edition") === edition) return;
  fetch(location.href).then((answer) => {
    if (!answer.ok) return;
    sessionStorage.setItem("edition", edition);
    location.reload();
  }, () => {});
}

// Once a second: what has run out goes, and after a long silence everything does.
function watch() {
  const silent = since(heard);
  const alive = silent < DEAD ? messages.filter((one) => since(one.moment) < one.left) : [];
  if (alive.length !== messages.length) {
    messages = alive;
    lay(false);
  }
  if (silent > BEAT * 2.5 && since(tried) > BEAT) {
    tried = now();
    connect(); // half-open connections say nothing for hours
  }
  clock();
}

// Lay everything out anew; what was on stays on, unless something else has never been shown.
function lay(fresh) {
  const keys = new Set(messages.map((one) => one.key));
  painted = new Set([...painted].filter((key) => keys.has(key)));
  const digests = new Set(messages.map((one) => one.photo && one.photo.digest));
  [...photos.keys()].filter((digest) => !digests.has(digest)).forEach((digest) => photos.delete(digest));
  const before = pages[turn];
  pages = messages.flatMap(paged);
  clearTimeout(next);
  if (!pages.length) {
    turn = -1;
    paint(null);
    return;
  }
  const unseen = pages.findIndex((page) => !painted.has(page.key));
  const same = before ? pages.findIndex((page) => page.key === before.key && page.text === before.text) : -1;
  turn = unseen >= 0 && fresh ? unseen : Math.max(same, 0);
  show();
}

function show() {
  paint(pages[turn]);
  if (pages.length < 2) return;
  const stays = Math.max(SHORTEST, (pages[turn].text.length / READ) * 1000);
  next = setTimeout(() => {
    turn = (turn + 1) % pages.length;
    show();
  }, stays);
}

// The pages of one message: in each language the whole text, as large as it can be, or in as many pages as it takes.
function paged(one) {
  return one.texts.flatMap((text) => {
    const page = { key: one.key, mark: one.mark, photo: one.photo, language: text.language };
    return split(page, text.text.trim()).map((part) => ({ ...page, ...part }));
  });
}

function split(page, text) {
  dress(page);
  const side = Math.min(innerWidth, innerHeight);
  const least = Math.max(side * SMALLEST, FINEST);
  // Rather smaller than with a word broken in two.
  for (const wrap of ["normal", "break-word"]) {
    const size = largest(text, least, side * LARGEST, wrap);
    if (size) return [{ text, size, wrap }];
  }
  const words = text.split(/(\s+)/).flatMap((word) => (fits(word, least) ? [word] : letters(word)));
  const parts = [];
  let from = 0;
  while (from < words.length) {
    let few = from + 1;
    let many = words.length;
    while (few < many) {
      const middle = Math.ceil((few + many) / 2);
      if (fits(words.slice(from, middle).join("").trim(), least)) few = middle;
      else many = middle - 1;
    }
    const part = words.slice(from, few).join("").trim();
    if (part) parts.push({ text: part, size: least, wrap: "break-word" });
    from = few;
  }
  return parts;
}

// What has no spaces (Chinese, say) is parted between letters.
function letters(word) {
  return graphemes ? Array.from(graphemes.segment(word), (one) => one.segment) : Array.from(word);
}

function largest(text, smallest, most, wrap) {
  at("text").style.overflowWrap = wrap;
  if (!fits(text, smallest)) return 0;
  let low = smallest;
  let high = most;
  while (high - low > 1) {
    const middle = (low + high) / 2;
    if (fits(text, middle)) low = middle;
    else high = middle;
  }
  return Math.floor(low);
}

function fits(text, size) {
  const box = at("box");
  const line = at("text");
  line.textContent = text;
  line.style.fontSize = size + "px";
  return line.offsetHeight <= box.clientHeight && line.scrollWidth <= box.clientWidth;
}

// Everything of a page but its text: what is left is the room for it.
function dress(page) {
  at("alert").hidden = !page;
  at("idle").hidden = Boolean(page);
  if (!page) return;
  at("mark").hidden = !page.mark;
  at("mark").textContent = page.mark || "";
  const photo = page.photo ? picture(page.photo) : noPhoto;
  if (at("photo") !== photo) at("photo").replaceWith(photo);
}

// A photo takes no room until it is there; one that does not come is fetched again.
function picture(told) {
  let photo = photos.get(told.digest);
  if (!photo) {
    const address = base + "/photo/" + told.digest;
    photo = new Image();
    photo.id = "photo";
    photo.hidden = true;
    photo.onload = () => { photo.hidden = false; lay(false); };
    photo.onerror = () => setTimeout(() => { if (photos.get(told.digest) === photo) photo.src = address; }, AGAIN);
    photo.src = address;
    photos.set(told.digest, photo);
  }
  photo.alt = told.about;
  return photo;
}

function paint(page) {
  dress(page);
  at("text").textContent = page ? page.text : "";
  if (page) {
    at("text").style.overflowWrap = page.wrap;
    at("text").lang = page.language;
    at("text").dir = "auto";
    at("text").style.fontSize = page.size + "px";
  } else {
    at("photo").replaceWith(noPhoto);
  }
  // After the second frame what was laid out before the first one is on the screen.
  requestAnimationFrame(() => requestAnimationFrame(() => confirm(page)));
}

function confirm(page) {
  if (page && messages.some((one) => one.key === page.key)) painted.add(page.key);
  const showing = JSON.stringify([...painted].sort());
  if (showing !== said) tell(showing);
}

function tell(showing) {
  said = showing;
  const body = JSON.stringify({ screen: screenName, showing: JSON.parse(showing) });
  fetch(base + "/ack", { method: "POST", body, headers: { "Content-Type": "application/json" } }).then(
    (answer) => { if (!answer.ok) said = ""; },
    () => { said = ""; },
  );
}

function clock() {
  const shown = root.dataset.idle === "clock";
  at("clock").hidden = !shown;
  at("coat").hidden = !shown || root.dataset.coat !== "yes";
  if (!shown) return;
  if (root.dataset.coat === "yes" && !at("coat").getAttribute("src")) at("coat").src = "/display/coat";
  at("clock").textContent = new Date().toLocaleTimeString(root.lang, DUTCH_TIME);
}

addEventListener("resize", () => lay(false));
setInterval(watch, 1000);
setInterval(() => { if (since(heard) < DEAD) tell(JSON.stringify([...painted].sort())); }, Math.max(2000, DEAD / 4));
clock();
confirm(null);
connect();
