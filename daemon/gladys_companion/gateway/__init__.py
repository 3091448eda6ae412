"""The self-hostable cloud end: takes what phones post, holds it, and relays it to the home that it is for."""
