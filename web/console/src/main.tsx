import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import "./theme.css";
import { App } from "./app";
import { arrive } from "./session/arrive";
import { applyTheme } from "./frame/theme";

applyTheme();
// Before anything is drawn or asked: a token must not stay in the address.
const arrival = arrive();
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App arrival={arrival} /></StrictMode>);
