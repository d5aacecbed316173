"""The runs of notebook 11: which words, in which sentences. Poolings compared where the evidence is known; scenes of
real plays, whole plays held out and not; label-wise attention; attributes for rare labels."""



