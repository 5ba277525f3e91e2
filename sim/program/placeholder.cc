// placeholder so that the room builds before its owner fills it
