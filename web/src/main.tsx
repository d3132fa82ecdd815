import { render } from "preact";
import { App } from "./app.tsx";
import { Live } from "./live.ts";
import { Store } from "./store.ts";
import "./style/base.css";
import "./style/controls.css";
import "./style/lists.css";
import "./style/detail.css";
import "./style/small.css";

const root = document.getElementById("app");
if (root === null) throw new Error("the page has no place for the app");
const store = new Store();
const live = new Live(store);
render(<App store={store} lookAt={(tag) => void live.lookAt(tag)} />, root);
live.start();
