"""Small recognisers that spell: convolutions, recurrent layers or Conformer blocks under a CTC output."""
