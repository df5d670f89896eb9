"""Small CTC recognisers: convolutions, recurrent layers or Conformer blocks under a CTC output."""
