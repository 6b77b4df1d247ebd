"""The steps of an analysis: one module, one public function; no step imports another."""
