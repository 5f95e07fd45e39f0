// Questions and answers: all text is in the page.
import { screen } from "./app.js";

screen();
