"use strict";
// The addresses of the Pombo engines that may be given an answer, such as "https://pombo.example". Without one the extension does
// nothing: whoever gets an answer to a question of his own can link the account.
globalThis.pomboOrigins = [];
