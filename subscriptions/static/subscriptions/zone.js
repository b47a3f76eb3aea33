"use strict";
// A reader whose zone was never chosen is offered the browser's own; saving the form keeps it.
const zones = document.querySelector("select[name=time_zone]");
const found = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zones && zones.value !== found && [...zones.options].some((option) => option.value === found)) {
  zones.value = found;
  document.getElementById("zone-found").hidden = false;
}
