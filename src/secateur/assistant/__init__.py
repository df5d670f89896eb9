"""From speech to an answer: intents from sentence templates, phrases in the search, skills."""
